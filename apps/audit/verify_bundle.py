#!/usr/bin/env python3
"""Checks a bundle of the record that Deeploy exported: python verify_bundle.py bundle.zip

One file, the standard library only, nothing of Deeploy: read it, then trust it. It finds edits,
reordering, gaps, cut tails, digests and Merkle roots (RFC 6962) that do not fit, broken links, and
checkpoints that are forged or that bind what is no longer there; the same of what was added to
predictions: explanations, evaluations, actuals. Signatures are Ed25519 (RFC 8032).

Two things make it strong: the public key as you learnt it elsewhere (--key), and copies of
checkpoints that you kept (--checkpoint). Exit code 0: intact. 1: not, and the first broken link
is named. 2: this is no bundle.
"""

from __future__ import annotations

import argparse
import base64
import hashlib
import itertools
import json
import sys
import zipfile
import zlib
from collections.abc import Callable, Iterator
from typing import Any

GENESIS = "00" * 32
MOST_SHOWN = 20
# What an erasure takes of a record, and of what was added to it; the name of a part is its file's
PAYLOAD = (
    *("input", "output", "outcome", "score", "customId", "modelInput", "modelOutput"),
    *("error", "envelope", "body", "explanations"),
)
ADDED = {
    "explanations": ("explanation",),
    "evaluations": (
        *("verdict", "desiredOutput", "desiredOutcome", "comment", "reason", "seen", "spentMs"),
    ),
    "actuals": ("value", "outcome"),
}
MEMBERS = (
    *("events.jsonl", "seals.jsonl", "records.jsonl", "checkpoints.jsonl"),
    *(f"{part}.jsonl" for part in ADDED),
)
# What an addition and its event both say
SAID_TWICE = ("predictionId", "deploymentId", "supersedes")
# Events that tell of what was added, and of which part
TELLS = {
    "explanation.made": "explanations",
    "evaluation.given": "evaluations",
    "evaluation.corrected": "evaluations",
    "evaluation.withdrawn": "evaluations",
    "actuals.recorded": "actuals",
}
DAMAGED = (zipfile.BadZipFile, zlib.error, EOFError, OSError)
MALFORMED = (ValueError, KeyError, TypeError, AttributeError)


class Broken(Exception):
    """A part cannot be read on."""


class Report:
    """The problems in the order in which they were found."""

    def __init__(self) -> None:
        self.problems: list[str] = []

    def add(self, where: str, message: str) -> None:
        self.problems.append(f"{where}: {message}")


class Bundle:
    """The parts of a bundle, read line by line; notes each part's digest and number of lines."""

    def __init__(self, path: str) -> None:
        self.archive = zipfile.ZipFile(path)
        self.manifest_bytes = self.archive.read("manifest.json")
        self.manifest: dict[str, Any] = json.loads(self.manifest_bytes)
        self.signature: dict[str, str] = json.loads(self.archive.read("signature.json"))
        self.read: dict[str, tuple[str, int]] = {}
        self.erasures: dict[str, tuple[int, str | None]] = {}
        self.told: dict[str, dict[str, tuple[int, dict[str, Any]]]] = {part: {} for part in ADDED}

    def lines(self, name: str) -> Iterator[dict[str, Any]]:
        digest, number = hashlib.sha256(), 0
        try:
            with self.archive.open(name) as file:
                for line in file:
                    digest.update(line)
                    number += 1
                    yield json.loads(line)
        except DAMAGED as error:
            raise Broken(f"{name}, line {number}: the file is damaged ({error})") from None
        except json.JSONDecodeError as error:
            raise Broken(f"{name}, line {number}: it is not JSON ({error})") from None
        except KeyError:
            raise Broken(f"{name}: the bundle does not hold it") from None
        self.read[name] = (digest.hexdigest(), number)


# Digests and trees


def canonical(value: Any) -> bytes:
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode()


def salted_digest(salt: str, content: Any) -> str:
    return hashlib.sha256(bytes.fromhex(salt) + canonical(content)).hexdigest()


def _leaf(digest: str) -> bytes:
    return hashlib.sha256(b"\x00" + bytes.fromhex(digest)).digest()


def _node(left: bytes, right: bytes) -> bytes:
    return hashlib.sha256(b"\x01" + left + right).digest()


def merkle_root(digests: list[str]) -> str:
    """RFC 6962, 2.1."""
    level = [_leaf(digest) for digest in digests]
    if not level:
        return hashlib.sha256(b"").hexdigest()
    while len(level) > 1:
        above = [_node(level[i], level[i + 1]) for i in range(0, len(level) - 1, 2)]
        level = above + level[-1:] if len(level) % 2 else above
    return level[0].hex()


def root_from_path(digest: str, index: int, count: int, path: list[str]) -> str | None:
    """RFC 9162, 2.1.3.2: the root to which an audit path leads; None for a path that cannot be."""
    if not 0 <= index < count:
        return None
    value, last = _leaf(digest), count - 1
    for step in path:
        if last == 0:
            return None
        sibling = bytes.fromhex(step)
        if index % 2 or index == last:
            value = _node(sibling, value)
            while index % 2 == 0 and index:
                index, last = index >> 1, last >> 1
        else:
            value = _node(value, sibling)
        index, last = index >> 1, last >> 1
    return value.hex() if last == 0 else None


# Ed25519, RFC 8032, section 5.1: verification only, so nothing here is secret

_P = 2**255 - 19
_ORDER = 2**252 + 27742317777372353535851937790883648493
_D = -121665 * pow(121666, -1, _P) % _P
_ROOT_OF_MINUS_ONE = pow(2, (_P - 1) // 4, _P)
Point = tuple[int, int, int, int]


def _add(a: Point, b: Point) -> Point:
    c, d = (a[1] - a[0]) * (b[1] - b[0]) % _P, (a[1] + a[0]) * (b[1] + b[0]) % _P
    e, f = 2 * a[3] * b[3] * _D % _P, 2 * a[2] * b[2] % _P
    g, h, i, j = d - c, f - e, f + e, d + c
    return g * h % _P, i * j % _P, h * i % _P, g * j % _P


def _times(scalar: int, point: Point) -> Point:
    result: Point = (0, 1, 1, 0)
    while scalar:
        if scalar & 1:
            result = _add(result, point)
        point = _add(point, point)
        scalar >>= 1
    return result


def _point(text: bytes) -> Point | None:
    y = int.from_bytes(text, "little")
    sign, y = y >> 255, y & ((1 << 255) - 1)
    if y >= _P:
        return None
    square = (y * y - 1) * pow(_D * y * y + 1, -1, _P) % _P
    x = pow(square, (_P + 3) // 8, _P)
    if (x * x - square) % _P:
        x = x * _ROOT_OF_MINUS_ONE % _P
    if (x * x - square) % _P or (x == 0 and sign):
        return None
    x = _P - x if x & 1 != sign else x
    return x, y, 1, x * y % _P


_BASE = _point((4 * pow(5, -1, _P) % _P).to_bytes(32, "little"))


def ed25519_holds(public: bytes, signature: bytes, message: bytes) -> bool:
    if len(public) != 32 or len(signature) != 64:
        return False
    key, first = _point(public), _point(signature[:32])
    scalar = int.from_bytes(signature[32:], "little")
    if key is None or first is None or _BASE is None or scalar >= _ORDER:
        return False
    digest = hashlib.sha512(signature[:32] + public + message).digest()
    challenge = int.from_bytes(digest, "little") % _ORDER
    left, right = _times(scalar, _BASE), _add(first, _times(challenge, key))
    return not (
        (left[0] * right[2] - right[0] * left[2]) % _P
        or (left[1] * right[2] - right[1] * left[2]) % _P
    )


# Checkpoints: what the chains ended with, signed at the time


class Bound:
    """The links that checkpoints bind; each is ticked off when the chains are walked."""

    def __init__(self) -> None:
        self.open: dict[tuple[str, int], tuple[str, str]] = {}

    def bind(self, chain: str, number: int, digest: str, place: str, report: Report) -> None:
        known = self.open.setdefault((chain, number), (digest, place))
        if known[0] != digest:
            report.add(place, f"{known[1]} binds another {_named(chain, number)}")

    def tick(self, chain: str, number: int, digest: str, report: Report) -> None:
        bound = self.open.pop((chain, number), None)
        if bound and bound[0] != digest:
            report.add(bound[1], f"{_named(chain, number)} is another one than it binds")

    def rest(self, first: dict[str, int], report: Report) -> None:
        """What was bound and not met is gone, unless the bundle begins after it or leaves out
        its writer."""
        for (chain, number), (_, place) in self.open.items():
            if number >= first.get(chain, number + 1):
                report.add(place, f"{_named(chain, number)} is gone")


def _named(chain: str, number: int) -> str:
    return f"event {number}" if chain == "events" else f"seal {number} of writer {chain}"


def check_checkpoints(
    bundle: Bundle, kept: list[dict[str, Any]], key: bytes, bound: Bound, report: Report
) -> dict[str, int]:
    """Checks signatures, and notes what is bound. `kept` are copies from elsewhere."""
    count = 0
    for checkpoint in bundle.lines("checkpoints.jsonl"):
        count += 1
        check_checkpoint(checkpoint, f"checkpoint {checkpoint['id']}", key, bound, report)
    for checkpoint in kept:
        place = f"kept checkpoint {checkpoint['id']}"
        check_checkpoint(checkpoint, place, key, bound, report)
    return {"checkpoints": count + len(kept)}


def check_checkpoint(
    checkpoint: dict[str, Any], place: str, key: bytes, bound: Bound, report: Report
) -> None:
    public = base64.b64decode(checkpoint["publicKey"])
    signature = base64.b64decode(checkpoint["signature"])
    if public != key:
        report.add(place, "it is signed with another key")
    elif not ed25519_holds(public, signature, checkpoint["content"].encode()):
        report.add(place, "its signature does not match its content")
    else:
        content = json.loads(checkpoint["content"])
        heads = [("events", content["events"])]
        heads += [(head["writer"], head) for head in content["writers"]]
        for chain, head in heads:
            if head["number"]:
                bound.bind(chain, head["number"], head["hash"], place, report)


# The chain of events


def check_events(bundle: Bundle, bound: Bound, report: Report) -> dict[str, int]:
    """Numbers without gap, digests, links, and the signed head."""
    chain = bundle.manifest["events"]
    number, previous = chain["from"] - 1, chain["previousHash"]
    if chain["from"] == 1 and previous != GENESIS:
        report.add("events", "the chain does not begin where chains begin")
    counts = {"events": 0, "withheld": 0, "erased": 0}
    for event in bundle.lines("events.jsonl"):
        place = f"event {event['number']}"
        if event["number"] != number + 1:
            report.add(place, f"event {number + 1} should stand here; one is missing or moved")
        elif event["previousHash"] != previous:
            report.add(place, "it does not follow the event before it")
        check_content(event, place, report, number=event["number"])
        both = bytes.fromhex(event["previousHash"] + event["digest"])
        if hashlib.sha256(both).hexdigest() != event["hash"]:
            report.add(place, "its hash does not match its digest")
        bound.tick("events", event["number"], event["hash"], report)
        note_event(bundle, event)
        counts["events"] += 1
        counts["withheld"] += bool(event.get("withheld"))
        counts["erased"] += event["salt"] is None and not event.get("withheld")
        number, previous = event["number"], event["hash"]
    if (number, previous) != (chain["number"], chain["hash"]):
        text = f"the chain ends here, but event {chain['number']} was the last: its tail was cut"
        report.add(f"event {number}", text)
    return counts


def note_event(bundle: Bundle, event: dict[str, Any]) -> None:
    """An event that erased a record binds what it left of it; one that tells of an addition binds
    its digest, or the root of many."""
    content = event["content"] or {"name": ""}
    data = json.loads(content.get("data") or "{}")
    if content["name"] in ("prediction.erased", "request.erased"):
        bundle.erasures[content["objectId"]] = (event["number"], data.get("kept"))
    elif content["name"] in TELLS:
        bundle.told[TELLS[content["name"]]][content["objectId"]] = (event["number"], data)


def check_content(entry: dict[str, Any], place: str, report: Report, **same: Any) -> bool:
    """The digest of an entry that is shown; one that was erased or withheld has only a digest."""
    if entry["salt"] is None:
        return True
    content = entry["content"]
    fits = salted_digest(entry["salt"], content) == entry["digest"]
    if not fits or any(content[name] != value for name, value in same.items()):
        report.add(place, "its content is not what was recorded")
        return False
    return True


# The seals of every writer, and the records under them


class Chains:
    """Where each writer's chain of seals has got to."""

    def __init__(self, manifest: dict[str, Any], report: Report) -> None:
        self.writers = {each["writer"]: each for each in manifest["writers"]}
        self.order = {writer: place for place, writer in enumerate(self.writers)}
        self.at = {w: (each["from"] - 1, each["previousHash"]) for w, each in self.writers.items()}
        for writer, each in self.writers.items():
            if each["from"] == 1 and each["previousHash"] != GENESIS:
                report.add(f"writer {writer}", "its chain does not begin where chains begin")

    def key(self, writer: str, seal: int) -> tuple[int, int]:
        return self.order.get(writer, -1), seal

    def step(self, seal: dict[str, Any], place: str, report: Report) -> None:
        number, previous = self.at[seal["writer"]]
        if seal["number"] != number + 1:
            report.add(place, f"seal {number + 1} should stand here; one is missing or moved")
        elif seal["previousHash"] != previous:
            report.add(place, "it does not follow the seal before it")
        content = {name: value for name, value in seal.items() if name != "hash"}
        if hashlib.sha256(canonical(content)).hexdigest() != seal["hash"]:
            report.add(place, "its content is not what was sealed")
        self.at[seal["writer"]] = (seal["number"], seal["hash"])

    def end(self, report: Report) -> None:
        for writer, each in self.writers.items():
            number, last = self.at[writer]
            if (number, last) != (each["number"], each["hash"]):
                text = f"the chain ends here, but seal {each['number']} was the last"
                report.add(f"seal {number} of writer {writer}", f"{text}: its tail was cut")


class Records:
    """The records in their order, taken seal by seal."""

    def __init__(self, bundle: Bundle) -> None:
        self.lines = bundle.lines("records.jsonl")
        self.next = next(self.lines, None)
        self.counts = {"records": 0, "erased": 0}

    def take(self, chains: Chains, seal: dict[str, Any] | None, report: Report) -> list[Any]:
        """The records of a seal. Those that stand before it name a seal that is not here."""
        wanted = chains.key(seal["writer"], seal["number"]) if seal else (len(chains.order), 0)
        taken = []
        while self.next is not None:
            record = self.next
            key = chains.key(record["writer"], record["seal"])
            if key > wanted:
                break
            if key < wanted:
                text = f"it names seal {record['seal']} of writer {record['writer']}"
                report.add(_record(record), f"{text}, which is not here or not in that place")
            else:
                taken.append(record)
            self.counts["records"] += 1
            self.counts["erased"] += record["salt"] is None
            self.next = next(self.lines, None)
        return taken


def _record(record: dict[str, Any]) -> str:
    return f"{record['kind']} {record['id']}"


def check_seals(bundle: Bundle, bound: Bound, report: Report) -> dict[str, int]:
    """Numbers without gap, links, the records under each seal, and the signed heads."""
    chains, records = Chains(bundle.manifest, report), Records(bundle)
    complete = bundle.manifest["scope"]["kind"] == "all"
    seals = 0
    for seal in bundle.lines("seals.jsonl"):
        seals += 1
        place = f"seal {seal['number']} of writer {seal['writer']}"
        if seal["writer"] not in chains.writers:
            report.add(place, "nobody knows this writer")
            continue
        chains.step(seal, place, report)
        bound.tick(seal["writer"], seal["number"], seal["hash"], report)
        under = records.take(chains, seal, report)
        sound = [check_record(bundle, record, place, report) for record in under]
        if not complete:
            check_paths(seal, under, place, report)
        elif all(sound):
            check_whole_seal(seal, under, place, report)
    chains.end(report)
    records.take(chains, None, report)
    return {"seals": seals, "writers": len(chains.writers), **records.counts}


def check_record(bundle: Bundle, record: dict[str, Any], place: str, report: Report) -> bool:
    where = f"{place}, {_record(record)}"
    if record["salt"] is not None:
        return check_content(record, where, report, id=record["id"])
    event, kept = bundle.erasures.get(record["id"], (0, None))
    left = {name: value for name, value in record["content"].items() if name not in PAYLOAD}
    payload = [name for name in PAYLOAD if record["content"].get(name) is not None]
    if not event:
        report.add(where, "its content is gone, and no event says that it was erased")
    elif payload or (kept and hashlib.sha256(canonical(left)).hexdigest() != kept):
        report.add(where, f"what is left of it is not what event {event} left")
    else:
        return True
    return False


def check_whole_seal(seal: dict[str, Any], records: list[Any], place: str, report: Report) -> None:
    """All records of the seal are here, so its root can be computed."""
    ids = [record["id"] for record in records]
    if len(records) != seal["count"]:
        report.add(place, f"{seal['count']} records were sealed, {len(records)} are here")
    elif ids != sorted(ids):
        moved = next(i for i in range(1, len(ids)) if ids[i] < ids[i - 1])
        report.add(f"{place}, {_record(records[moved])}", "it is out of its order")
    elif (ids[0], ids[-1]) != (seal["firstId"], seal["lastId"]):
        report.add(place, "its first or last record is another one")
    elif merkle_root([record["digest"] for record in records]) != seal["root"]:
        report.add(place, "its records are not the ones that were sealed, or not in that order")


def check_paths(seal: dict[str, Any], records: list[Any], place: str, report: Report) -> None:
    """Some records of the seal are here, each with its path to the root."""
    last = -1
    for record in records:
        where = f"{place}, {_record(record)}"
        index, path = record["index"], record["path"]
        if index <= last:
            report.add(where, "it is out of its order")
        if root_from_path(record["digest"], index, seal["count"], path) != seal["root"]:
            report.add(where, "its path does not lead to the root of its seal")
        last = index


# What was added to predictions: explanations and evaluations, each bound by an event of its own,
# and actuals, bound by the event of their batch


def check_added(bundle: Bundle, part: str, report: Report) -> dict[str, int]:
    """Digests, order, events, erasures; and what an event tells of and is not here."""
    counts = {part: 0, "erased": 0}
    through = bundle.manifest["parts"][part]["through"]
    told = bundle.told[part].items()
    missing = {key: number for key, (number, _) in told if number <= through}
    check_lines = check_batches if part == "actuals" else check_singles
    for line, key in check_lines(bundle, part, report):
        counts[part] += 1
        counts["erased"] += line["salt"] is None
        missing.pop(key, None)
    for key, number in missing.items():
        place = f"{part} {key}" if part == "actuals" else f"{part[:-1]} {key}"
        report.add(place, f"event {number} tells of it, and it is not here")
    return counts


def check_singles(bundle: Bundle, part: str, report: Report) -> Iterator[tuple[Any, str]]:
    """Each line, and the object of the event that binds it: the line itself."""
    for line in in_order(bundle, part, lambda line: (line["id"],), report):
        _, told = bundle.told[part].get(line["id"], (0, {}))
        if told.get("digest") != line["digest"]:
            report.add(_added(part, line), "no event says that it was made so")
        else:
            same = {name: told[name] for name in SAID_TWICE if name in told}
            check_addition(bundle, part, line, report, **same)
        yield line, line["id"]


def check_batches(bundle: Bundle, part: str, report: Report) -> Iterator[tuple[Any, str]]:
    """Each line, and the object of the event that binds it: its batch."""
    lines = in_order(bundle, part, lambda line: (line["content"]["batch"], line["id"]), report)
    for batch, rows in itertools.groupby(lines, lambda line: str(line["content"]["batch"])):
        number, told = bundle.told[part].get(batch, (0, {}))
        same = {name: told[name] for name in SAID_TWICE if name in told}
        digests = []
        for line in rows:
            check_addition(bundle, part, line, report, **same)
            digests.append(line["digest"])
            yield line, batch
        if not number:
            report.add(f"{part} {batch}", "no event says that they were recorded")
        elif len(digests) != told["count"]:
            text = f"event {number} binds {told['count']}, {len(digests)} are here"
            report.add(f"{part} {batch}", text)
        elif merkle_root(digests) != told["root"]:
            text = f"they are not the ones that event {number} binds, or not in that order"
            report.add(f"{part} {batch}", text)


def in_order(
    bundle: Bundle, part: str, key: Callable[[Any], tuple[str, ...]], report: Report
) -> Iterator[dict[str, Any]]:
    """The lines of a part, whose keys go up."""
    last: tuple[str, ...] = ()
    for line in bundle.lines(f"{part}.jsonl"):
        if key(line) <= last:
            report.add(_added(part, line), "it is out of its order")
        last = key(line)
        yield line


def check_addition(
    bundle: Bundle, part: str, line: dict[str, Any], report: Report, **same: Any
) -> None:
    """Its content, or what the erasure of its prediction left of it."""
    place, content = _added(part, line), line["content"]
    same["id"] = line["id"]
    if line["salt"] is not None:
        check_content(line, place, report, **same)
    elif any(content[name] is not None for name in ADDED[part]):
        report.add(place, "it was erased, but has content")
    elif any(content[name] != value for name, value in same.items()):
        report.add(place, "what is left of it is not what its event says")
    elif content["predictionId"] not in bundle.erasures:
        text = "its content is gone, and no event says that its prediction was erased"
        report.add(place, text)


def _added(part: str, line: dict[str, Any]) -> str:
    return f"{part[:-1]} {line['id']}"


# The whole


def check_manifest(bundle: Bundle, pinned: str | None, report: Report) -> bytes:
    """The manifest's own signature; returns the key that everything must be signed with."""
    key = base64.b64decode(bundle.signature["publicKey"])
    signature = base64.b64decode(bundle.signature["signature"])
    if pinned and key.hex() != pinned.lower():
        report.add("manifest", "it is signed with another key than the one you gave")
    if not ed25519_holds(key, signature, bundle.manifest_bytes):
        report.add("manifest", "its signature does not match its content")
    return bytes.fromhex(pinned) if pinned else key


def check_files(bundle: Bundle, report: Report) -> None:
    """The parts are the ones that the manifest was signed with."""
    for name in MEMBERS:
        signed = bundle.manifest["files"].get(name)
        if name in bundle.read and bundle.read[name] != (signed["sha256"], signed["lines"]):
            report.add(name, "it is not the file that the manifest was signed with")


def check(bundle: Bundle, pinned: str | None, kept: list[dict[str, Any]]) -> Report:
    """Runs every check, and says a line about each part."""
    report, bound = Report(), Bound()
    scope = bundle.manifest["scope"]
    say(f"Bundle of {scope['name']}, made {bundle.manifest['createdAt']}")
    key = check_manifest(bundle, pinned, report)
    say(f"Signed with key {key.hex()}" + ("" if pinned else " (compare it with the one you know)"))
    held = [part for part in ADDED if f"{part}.jsonl" in bundle.manifest["files"]]
    whole = [
        check_part(report, check_checkpoints, bundle, kept, key, bound),
        check_part(report, check_events, bundle, bound),
        check_part(report, check_seals, bundle, bound),
        *(check_part(report, check_added, bundle, part) for part in held),
    ]
    for part in ADDED:
        if part not in held and bundle.told[part]:
            say(f"Events tell of {part}: {len(bundle.told[part]):,}; this bundle holds none")
    if all(whole):
        first = {each["writer"]: each["from"] for each in bundle.manifest["writers"]}
        bound.rest({**first, "events": bundle.manifest["events"]["from"]}, report)
    check_files(bundle, report)
    return report


def check_part(report: Report, part: Callable[..., dict[str, int]], *given: Any) -> bool:
    """Runs one check and says what it counted; False where it could not come to its end."""
    before = len(report.problems)
    try:
        counts = part(*given, report)
    except Broken as error:
        report.problems.append(str(error))
        return False
    except MALFORMED as error:
        report.add("bundle", f"a line is not what it should be ({error!r})")
        return False
    state = "intact" if len(report.problems) == before else "NOT INTACT"
    say(", ".join(f"{count:,} {name}" for name, count in counts.items()) + f": {state}")
    return True


def say(line: str) -> None:
    sys.stdout.write(line + "\n")


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description="Checks a bundle of Deeploy's record.")
    parser.add_argument("bundle")
    parser.add_argument("--key", help="the public key that you know, in hexadecimal")
    parser.add_argument(
        "--checkpoint", action="append", default=[], help="a copy of a checkpoint that you kept"
    )
    given = parser.parse_args(arguments)
    try:
        kept = []
        for path in given.checkpoint:
            with open(path, encoding="utf-8") as file:
                kept.append(json.load(file))
        bundle = Bundle(given.bundle)
        report = check(bundle, given.key, kept)
    except (*DAMAGED, *MALFORMED) as error:
        sys.stderr.write(f"This cannot be read as a bundle: {error!r}\n")
        return 2
    if not report.problems:
        say("The record is intact.")
        return 0
    for problem in report.problems[:MOST_SHOWN]:
        sys.stderr.write(f"  {problem}\n")
    total = len(report.problems)
    sys.stderr.write(f"The record is not intact: {total} problem{'s' * (total != 1)}.\n")
    sys.stderr.write(f"The first broken link: {report.problems[0]}\n")
    return 1


if __name__ == "__main__":
    sys.exit(main())
