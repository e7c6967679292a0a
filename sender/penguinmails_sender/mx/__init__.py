"""The way to a recipient's own servers: MX and addresses, and how safe the connection has to be."""
