"""Who is asked about a hash, in which order, and for whose answer nobody waits.

The chain is the order of the settings. A provider is asked about what the one before it does not know. One
that answers slowly (an archive that volunteers run) is asked behind all others: the next one is asked at the
same time, so that it never holds up a name. Who does not know the whole file is asked once more about its
tensors.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from hashtagd.core.digests import SHA256_OF_NOTHING, Digests
from hashtagd.core.work import HashKind, Put, QuestionKey


@dataclass(frozen=True, slots=True, kw_only=True)
class Link:
    """One provider of the chain, as far as the order of questions depends on it."""

    name: str
    #: nobody waits for its answer: its questions are background questions
    slow: bool = False
    #: it can be asked about the tensors of a file whose header somebody edited
    by_tensors: bool = False


@dataclass(frozen=True, slots=True)
class Chain:
    """The providers in the order in which they are asked."""

    links: tuple[Link, ...] = ()

    def first(self, sha256: str) -> tuple[Put, ...]:
        """Say what a new hash puts: the first question, and with slow ones in front also the next."""
        return tuple(self._from(self.links, sha256))

    def after(self, provider: str, digests: Digests) -> tuple[Put, ...]:
        """Say what the word of one provider that it does not know the file puts.

        Returns the questions to those who come next, and in the background the one about the tensors. Empty
        for a provider that is not in the chain (any more), and behind the last.
        """
        names = [link.name for link in self.links]
        if provider not in names:
            return ()
        here = names.index(provider)
        # behind a slow one the rest was asked at the same time; asking once more changes nothing
        puts = list(self._from(self.links[here + 1 :], digests.sha256))
        if self.links[here].by_tensors and (put := self.about_tensors(provider, digests.tensors_sha256)):
            puts.append(put)
        return tuple(puts)

    def elsewhere(self, provider: str, sha256: str) -> tuple[Put, ...]:
        """Say who may still have a file that this provider does not give out: the slow ones behind it."""
        names = [link.name for link in self.links]
        behind = self.links[names.index(provider) + 1 :] if provider in names else ()
        keys = (
            QuestionKey(hash_kind=HashKind.SHA256, hash=sha256, provider=link.name)
            for link in behind
            if link.slow
        )
        return tuple(Put(key=key, background=True) for key in keys)

    def about_tensors(self, provider: str, tensors_sha256: str | None) -> Put | None:
        """Make the question about a tensor hash; None where there is nothing to tell files apart by."""
        if tensors_sha256 is None or tensors_sha256 == SHA256_OF_NOTHING:
            return None
        key = QuestionKey(hash_kind=HashKind.TENSORS, hash=tensors_sha256, provider=provider)
        return Put(key=key, background=True)

    @property
    def asked_by_tensors(self) -> str | None:
        """Name the first provider that can be asked about tensors; None without one."""
        return next((link.name for link in self.links if link.by_tensors), None)

    @staticmethod
    def _from(links: Sequence[Link], sha256: str) -> Iterator[Put]:
        for link in links:
            key = QuestionKey(hash_kind=HashKind.SHA256, hash=sha256, provider=link.name)
            yield Put(key=key, background=link.slow)
            if not link.slow:
                return
