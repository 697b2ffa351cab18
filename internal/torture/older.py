"""What the older tool does to a registry: no lock, and a rewrite in place.

older.py FILE WORKTREE SECONDS claims, releases and registers an instance in turn,
and prints what it did.
"""

import datetime
import json
import random
import sys
import time


KEYS = {"slot_id", "infrastructure_path", "profile", "workers", "ports", "claimed_by", "claimed_at"}


def load(path):
    """Reads the registry; one that can't be read is an empty one."""
    try:
        with open(path) as f:
            registry = json.load(f)
        if all(KEYS <= slot.keys() for slot in registry["slots"].values()) and isinstance(registry["instances"], dict):
            return registry, False
    except (OSError, ValueError, KeyError, AttributeError):
        pass
    return {"version": 2, "local_prod": None, "instances": {}, "slots": {}}, True


def save(path, registry):
    """Truncates the registry and writes it."""
    with open(path, "w") as f:
        json.dump(registry, f, indent=2)


def claim(registry, worktree):
    """Takes the first free slot, and tells whether there was one."""
    for slot in registry["slots"].values():
        if slot["claimed_by"] is None:
            slot["claimed_by"] = worktree
            slot["claimed_at"] = datetime.datetime.now(datetime.timezone.utc).isoformat()
            return True
    return False


def release(registry, worktree):
    """Gives back what the worktree holds, and tells whether it held something."""
    held = [s for s in registry["slots"].values() if s["claimed_by"] == worktree]
    for slot in held:
        slot["claimed_by"] = slot["claimed_at"] = None
    return bool(held)


def register(registry, worktree):
    """Registers the worktree as an instance, which needs no slot."""
    registry["instances"]["older"] = {
        "instance_id": "older",
        "slot": 9,
        "path": worktree,
        "created_at": "2026-01-20T14:02:11.482913+00:00",
        "is_worktree": True,
        "parent_repo": None,
    }
    return True


def main(path, worktree, seconds):
    did = {"writes": 0, "erased": 0}
    end = time.monotonic() + float(seconds)
    while time.monotonic() < end:
        act = random.choice([claim, claim, release, release, register])
        registry, unreadable = load(path)
        time.sleep(random.uniform(0, 0.01))
        if act(registry, worktree):
            save(path, registry)
            did["writes"] += 1
            did["erased"] += unreadable
        time.sleep(random.uniform(0, 0.02))
    print(json.dumps(did))


main(*sys.argv[1:])
