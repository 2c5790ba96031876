"""gateway_api (US/EU): checks signatures, asks OpenAI, and normalises what comes back. It stores nothing."""
