"""The wording: one folder for each message, in zh-TW and English."""
