"""HTTP/1.1 to one upstream, for the calls of a chat: product_api's to the gateway, and the gateway's to OpenAI.

A general client costs more than everything else that is done for a call, and microseconds a delta; DECISIONS.md has the
figures. httptools parses and aiohappyeyeballs tries the addresses; keeping connections is done here.

`response` is a buffer and the state of one response; `connection` fills it from a socket; `client` keeps connections.

Non-goals, each of which a general client has:

* HTTP/2, HEAD, upgrades, pipelining of our own;
* redirects, retries, cookies, compression, authentication beyond the headers that the caller gives;
* write backpressure: a request is written at once, so that its size must be bounded by the caller (a chat's is);
* several headers with one name: the last one counts.
"""
