"""An app's OpenAPI document, finished: whatever Litestar leaves out that people and generators need."""
