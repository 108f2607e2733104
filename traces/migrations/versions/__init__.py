"""The steps, oldest first. A step that was released is never edited; a change of tables is a new step."""
