"""Opens and clicks: links that hold ids only, hits without addresses, and a verdict about who it was."""
