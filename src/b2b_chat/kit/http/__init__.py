"""HTTP/1.1 to one place, for the calls of a chat: product_api's to the gateway, and the gateway's to OpenAI.

A general client costs more than all else that is done for a call, and microseconds a delta; DECISIONS.md has the
figures. The parser is httptools', addresses are tried by aiohappyeyeballs; what is ours is the keeping of connections.
"""
