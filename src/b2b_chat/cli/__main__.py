"""`python -m b2b_chat.cli`, which is how the sandbox starts the apps."""

from b2b_chat.cli import main

main(prog_name="b2b-chat")
