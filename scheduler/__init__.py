"""The scheduler: jobs and their timetable."""
