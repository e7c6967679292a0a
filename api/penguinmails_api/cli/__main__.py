from penguinmails_api.cli import main

main()
