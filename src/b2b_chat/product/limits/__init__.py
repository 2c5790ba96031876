"""Rate limits: how often a company, a user, an address or a mail address may ask for something."""
