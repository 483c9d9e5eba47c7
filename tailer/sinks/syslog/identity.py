"""An id for every line that stays the same when the line is sent again. Pure.

`{digest}-{position}`, and `-2`, `-3`… for the twins of a line in its batch. The digest is
of what makes two lines twins and of where they come from; the position is the batch's
place in the spool. So a batch that is sent again has the same ids, and two true twins
never share one. A filter changes nothing: it lets all twins pass or none.
"""

from collections import Counter
from hashlib import blake2b
from typing import Final

from tailer.model import Batch, Target, Text

_DIGEST_BYTES: Final = 8


def stable_ids(batch: Batch) -> list[str]:
    digests = _digests(batch)
    ids = [f"{digest}-{batch.position}" for digest in digests]
    return ids if len(set(digests)) == len(digests) else _numbered(ids)


def _digests(batch: Batch) -> list[str]:
    """The names are digested once, and that state copied for every line: the quickest way.

    BLAKE2 takes 0.4 µs so, MD5 as long, SHA-1 the double.
    """
    of_names: dict[tuple[Text, Text, Text], blake2b] = {}
    digests = []
    for entry, spoken in zip(batch.entries, _spoken(batch), strict=True):
        names = (entry.pod, entry.container, entry.stream)
        digest = of_names.get(names)
        if digest is None:
            digest = of_names[names] = _digest_of_names(batch.target, names)
        digest = digest.copy()
        digest.update(spoken)
        digests.append(digest.hexdigest())
    return digests


def _digest_of_names(target: Target, names: tuple[Text, Text, Text]) -> blake2b:
    """`ascii` quotes, so nothing runs together; it tells "" from None from UNSET."""
    all_names = (target.resource_group, str(target.kind), target.id, *names)
    return blake2b(ascii(all_names).encode(), digest_size=_DIGEST_BYTES)


def _spoken(batch: Batch) -> list[bytes]:
    """When and what. No message, "…None" or "…UNSET", has no space before it."""
    texts = [
        f"{time_ns} {entry.msg}" if entry.msg.__class__ is str else f"{time_ns}{entry.msg}"
        for entry, time_ns in zip(batch.entries, batch.times_ns, strict=True)
    ]
    try:
        return [text.encode() for text in texts]
    except UnicodeEncodeError:
        return [text.encode(errors="surrogatepass") for text in texts]


def _numbered(ids: list[str]) -> list[str]:
    seen: Counter[str] = Counter()
    numbered = []
    for id_ in ids:
        seen[id_] += 1
        numbered.append(id_ if seen[id_] == 1 else f"{id_}-{seen[id_]}")
    return numbered
