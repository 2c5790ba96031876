"""gateway_api (US/EU): checks signatures, asks OpenAI, and normalises the answers. It stores nothing."""
