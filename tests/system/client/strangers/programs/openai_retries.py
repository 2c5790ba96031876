"""One question by the openai SDK with its silent retries, and with an Idempotency-Key where there is one."""

import json
import os

import openai

key = os.environ["IDEMPOTENCY_KEY"]
done = openai.OpenAI(max_retries=8).chat.completions.create(
    model="gpt-5.2",
    messages=[{"role": "user", "content": "What is a border?"}],
    extra_headers={"Idempotency-Key": key} if key else {},
)
print(json.dumps({"text": done.choices[0].message.content}))
