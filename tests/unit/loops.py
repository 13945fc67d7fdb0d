"""`LOOPS` in a module has each of its async tests run under asyncio's loop and under uvloop's."""

import asyncio

import uvloop

LOOPS = {"asyncio": asyncio.new_event_loop, "uvloop": uvloop.new_event_loop}
