"""What crosses the border between product_api and gateway_api. Pure: imports nothing of ours."""
