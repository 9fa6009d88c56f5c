"""When: the jobs and their timetable."""
