"""The voice: one folder per message, in zh-TW and English."""
