"""A lenient reader of MCAP files: unfinished, cut and damaged ones are read as far as they can be.

Records are read one after the other, so neither index nor footer is needed. Where a record is damaged, reading goes on
at the next chunk; a chunk whose checksum is wrong is left out as a whole, and named.
"""

from __future__ import annotations

import os
import struct
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import BinaryIO

import numpy as np

from sobo_training.bags import mcap_chunks as chunks
from sobo_training.bags.mcap_chunks import HEAD, MAGIC, MESSAGE_HEAD, ChunkHead, DamagedChunk
from sobo_training.bags.records import Batch, Channel, Damage, Findings, Wanted

# Messages outside of chunks are handed on when there are so many, or so many bytes of them.
BLOCK, BLOCK_BYTES = 4096, 1 << 23
# Bytes that are searched at once for the next chunk.
SEARCHED = 1 << 20
# Longest name of a compression and all fields before the data of a chunk.
LONGEST_HEAD = HEAD.size + 64
# The summary repeats schemas and channels; no robot has more of them than fit in here.
LARGEST_SUMMARY = 1 << 26


class _Block:
    """Messages that are collected by channel until they are handed on."""

    def __init__(self) -> None:
        self.messages: dict[Channel, tuple[list[int], list[bytes | memoryview]]] = {}
        self.count = self.bytes = 0

    @property
    def full(self) -> bool:
        """Whether there are as many as are handed on at once."""
        return self.count >= BLOCK or self.bytes >= BLOCK_BYTES

    def add(self, channel: Channel, time: int, payload: bytes | memoryview) -> None:
        """Adds a message that was recorded at a time [ns]."""
        times, payloads = self.messages.setdefault(channel, ([], []))
        times.append(time)
        payloads.append(payload)
        self.count += 1
        self.bytes += len(payload)

    def batches(self) -> list[Batch]:
        """Those collected so far."""
        return [
            Batch(channel, np.array(times, np.uint64).astype(np.int64), payloads)
            for channel, (times, payloads) in self.messages.items()
        ]


class McapFile:
    """Reads one MCAP file.

    Args:
        path: The file.
        wanted: Which channels to read; messages of the others are counted.
        findings: Where damages and counts are added.
    """

    def __init__(self, path: Path, wanted: Wanted, findings: Findings) -> None:
        self._path, self._wanted, self._findings = path, wanted, findings
        self._types: dict[int, str] = {}
        self._channels: dict[int, Channel] = {}
        self._asked: dict[int, Channel | None] = {}  # None: not wanted
        self._size = path.stat().st_size
        self._block = _Block()
        self._unknown = 0  # messages of channels that no record describes
        self._lost: tuple[str, int] | None = None  # damage of the last chunk, messages read of it
        self._indexed = 0  # messages of it that its index names
        self._chunked = False

    def blocks(self) -> Iterator[list[Batch]]:
        """Yields blocks of messages in the order of the file."""
        with self._path.open("rb") as file:
            if file.read(len(MAGIC)) != MAGIC:
                self._damage("does not begin as an MCAP file does")
                file.seek(0)
            at: int | None = file.tell()
            with suppress(struct.error, ValueError, OSError):
                self._read_summary(file)
            while at is not None and at < self._size:
                self._findings.passed = at
                at = self._record(file, at)
                if self._block.full:
                    yield self._block.batches()
                    self._block = _Block()
            self._close_chunk()
        if self._unknown:
            self._damage("belong to channels whose description is lost", self._unknown)
        yield self._block.batches()

    def _record(self, file: BinaryIO, at: int) -> int | None:
        """Reads the record that begins at a byte; returns where the next one begins, None at the end."""
        file.seek(at)
        head = file.read(HEAD.size)
        if len(head) < HEAD.size:
            self._cut(at)
            return None
        opcode, length = HEAD.unpack(head)
        end = at + HEAD.size + length
        if opcode != chunks.MESSAGE_INDEX:
            self._close_chunk()
        if opcode == chunks.CHUNK:
            self._chunked = True
            return self._chunk(file, at, length)
        if opcode not in chunks.OPCODES or end > self._size:
            return self._resume(file, at)
        if opcode in (chunks.DATA_END, chunks.FOOTER):
            return None
        if opcode in (chunks.SCHEMA, chunks.CHANNEL, chunks.MESSAGE):
            self._small(opcode, file.read(length), at)
        elif opcode == chunks.MESSAGE_INDEX:
            self._indexed += max(length - 6, 0) // 16
        return end

    # ---------------------------------------------------------------- chunks

    def _chunk(self, file: BinaryIO, at: int, length: int) -> int | None:
        head = chunks.chunk_head(file.read(min(LONGEST_HEAD, self._size - at)))
        if head is None:
            return self._resume(file, at)
        told, body = at + HEAD.size + length, at + HEAD.size
        end = body + head.length  # the chunk's own fields tell its length, too
        if end != told:
            if self._begins_record(file, end):
                pass
            elif told <= self._size and self._begins_record(file, told):
                self._damage(f"the chunk at byte {at} has contradictory lengths")
                return told
            elif end <= self._size or told <= self._size:
                return self._resume(file, at)
        complete = end <= self._size
        file.seek(body + head.data_start)
        data = file.read(min(head.data_size, self._size - body - head.data_start))
        self._contents(head, data, at, complete)
        return end if complete else None

    def _contents(self, head: ChunkHead, data: bytes, at: int, complete: bool) -> None:
        read, problem = 0, None if complete else "is cut by the end of the file"
        try:
            raw = chunks.decompress(head, data, complete)
            view = memoryview(raw)
            for opcode, begin, end in chunks.records(raw):
                if opcode == chunks.MESSAGE:
                    self._message(raw, view, begin, end)
                    read += 1
                else:
                    self._describe(opcode, raw[begin:end])
        except DamagedChunk as error:
            problem = problem or str(error)
        except (struct.error, ValueError) as error:
            problem = f"holds a damaged description ({error})"
        if problem is not None:
            self._lost, self._indexed = (f"the chunk at byte {at} {problem}", read), 0

    def _close_chunk(self) -> None:
        """Names the damage of the last chunk, once its index has told how many messages it had."""
        if self._lost is not None:
            what, read = self._lost
            self._damage(what, self._indexed - read if self._indexed > read else None)
            self._lost = None
        self._indexed = 0

    # ---------------------------------------------------------------- messages and what describes them

    def _small(self, opcode: int, body: bytes, at: int) -> None:
        try:
            if opcode == chunks.MESSAGE:
                self._message(body, memoryview(body), 0, len(body))
            else:
                self._describe(opcode, body)
        except (struct.error, ValueError) as error:
            self._damage(f"the record at byte {at} is damaged ({error})", 1 if opcode == chunks.MESSAGE else None)

    def _message(self, raw: bytes, view: memoryview, begin: int, end: int) -> None:
        number, _, time, _ = MESSAGE_HEAD.unpack_from(raw, begin)
        if number not in self._asked:
            if number not in self._channels:
                self._unknown += 1
                return
            channel = self._channels[number]
            self._asked[number] = channel if self._wanted(channel) else None
        asked = self._asked[number]
        if asked is None:
            self._findings.skipped[self._channels[number].topic] += 1
        else:
            self._block.add(asked, time, view[begin + MESSAGE_HEAD.size : end])

    def _describe(self, opcode: int, body: bytes) -> None:
        (number,) = struct.unpack_from("<H", body)
        if opcode == chunks.SCHEMA:
            self._types.setdefault(number, chunks.text(body, 2)[0])
        elif number not in self._channels:
            (schema,) = struct.unpack_from("<H", body, 2)
            topic, at = chunks.text(body, 4)
            channel = Channel(topic, self._types.get(schema, ""), chunks.text(body, at)[0])
            self._channels[number] = channel
            self._findings.types.setdefault(topic, channel.type)

    def _read_summary(self, file: BinaryIO) -> None:
        """Reads schemas and channels at the end of a finished file: chunks that describe them may be damaged."""
        file.seek(-37, os.SEEK_END)
        footer = file.read()
        if footer[-8:] != MAGIC or footer[:9] != HEAD.pack(chunks.FOOTER, 20):
            return
        (start,) = struct.unpack_from("<Q", footer, 9)
        if not 0 < start < self._size - 37 or self._size - start > LARGEST_SUMMARY:
            return
        file.seek(start)
        raw, at = file.read(self._size - 37 - start), 0
        while at + HEAD.size <= len(raw):
            opcode, length = HEAD.unpack_from(raw, at)
            if opcode in (chunks.SCHEMA, chunks.CHANNEL):
                self._describe(opcode, raw[at + HEAD.size : at + HEAD.size + length])
            at += HEAD.size + length

    # ---------------------------------------------------------------- damage

    def _damage(self, what: str, messages: int | None = None) -> None:
        self._findings.damages.append(Damage(self._path.name, what, messages))

    def _cut(self, at: int) -> None:
        self._damage(f"the file is cut at byte {at}")

    def _begins_record(self, file: BinaryIO, at: int) -> bool:
        """Whether a record that fits in the file may begin at a byte."""
        file.seek(at)
        head = file.read(HEAD.size)
        if len(head) < HEAD.size:
            return at == self._size
        opcode, length = HEAD.unpack(head)
        return opcode in chunks.OPCODES and at + HEAD.size + length <= self._size

    def _resume(self, file: BinaryIO, at: int) -> int | None:
        """Where the next chunk, or message of a file without chunks, begins behind a damaged record."""
        found = self._find_chunk(file, at + 1)
        if found is None:
            self._cut(at)
        else:
            self._damage(f"bytes {at} to {found} are damaged")
        return found

    def _find_chunk(self, file: BinaryIO, start: int) -> int | None:
        for base in range(start, self._size, SEARCHED):
            file.seek(base)
            window = file.read(SEARCHED + LONGEST_HEAD)
            opcode = chunks.CHUNK if self._chunked else chunks.MESSAGE
            at = window.find(opcode)
            while 0 <= at < SEARCHED and len(window) - at >= HEAD.size:
                if self._begins(window, at) and self._begins_record(file, base + at):
                    return base + at
                at = window.find(opcode, at + 1)
        return None

    def _begins(self, window: bytes, at: int) -> bool:
        """Whether what is found at a place of the file makes sense as a chunk, or as a message."""
        opcode, length = HEAD.unpack_from(window, at)
        if opcode == chunks.CHUNK:
            head = chunks.chunk_head(window[at + HEAD.size : at + LONGEST_HEAD])
            return head is not None and length == head.length
        number = int.from_bytes(window[at + HEAD.size : at + HEAD.size + 2], "little")
        return number in self._channels and MESSAGE_HEAD.size <= length <= LARGEST_SUMMARY
