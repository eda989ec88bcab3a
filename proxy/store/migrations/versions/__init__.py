"""The versions, oldest first. One that was released is never changed: what comes after is a file of its own."""
