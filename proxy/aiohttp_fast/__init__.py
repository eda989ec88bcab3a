"""What rests on the inside of aiohttp, and nothing else. A leaf: it imports nothing of ours."""
