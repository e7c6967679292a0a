"""Lists that come page by page. Iterating one goes through all pages; each page is fetched when it is needed."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Generator, Iterator, Sequence
from typing import Generic, Protocol, TypeVar

from penguinmails._errors import PenguinMailsError

T = TypeVar("T")
T_co = TypeVar("T_co", covariant=True)


class CursorList(Protocol[T_co]):
    """What the API answers to a list."""

    @property
    def data(self) -> Sequence[T_co]: ...

    @property
    def has_more(self) -> bool: ...

    @property
    def next_cursor(self) -> str | None: ...


class _Page(Generic[T]):
    def __init__(self, answer: CursorList[T], cursor: str | None) -> None:
        self.data: list[T] = list(answer.data)
        self.has_more = answer.has_more
        self.next_cursor = answer.next_cursor
        if self.has_more and (not self.next_cursor or self.next_cursor == cursor):
            raise PenguinMailsError("the server says there is more, but its cursor does not lead further")

    def __len__(self) -> int:
        """The number of items of this page alone."""
        return len(self.data)

    def __repr__(self) -> str:
        return f"{type(self).__name__}({len(self.data)} items, has_more={self.has_more})"


class Page(_Page[T]):
    """One page. `for item in page` continues with the pages after it; `data` is this page alone."""

    def __init__(
        self, answer: CursorList[T], cursor: str | None, fetch: Callable[[str | None], tuple[CursorList[T], str | None]]
    ) -> None:
        super().__init__(answer, cursor)
        self._fetch = fetch

    def next_page(self) -> Page[T] | None:
        """The page after this one, None after the last."""
        if not self.has_more:
            return None
        answer, cursor = self._fetch(self.next_cursor)
        return Page(answer, cursor, self._fetch)

    def pages(self) -> Iterator[Page[T]]:
        """This page and all after it."""
        page: Page[T] | None = self
        while page is not None:
            yield page
            page = page.next_page()

    def __iter__(self) -> Iterator[T]:
        for page in self.pages():
            yield from page.data

    def __bool__(self) -> bool:
        return bool(self.data)


class AsyncPage(_Page[T]):
    """One page. `async for item in page` continues with the pages after it; `data` is this page alone."""

    def __init__(
        self,
        answer: CursorList[T],
        cursor: str | None,
        fetch: Callable[[str | None], Awaitable[tuple[CursorList[T], str | None]]],
    ) -> None:
        super().__init__(answer, cursor)
        self._fetch = fetch

    async def next_page(self) -> AsyncPage[T] | None:
        """The page after this one, None after the last."""
        if not self.has_more:
            return None
        answer, cursor = await self._fetch(self.next_cursor)
        return AsyncPage(answer, cursor, self._fetch)

    async def pages(self) -> AsyncIterator[AsyncPage[T]]:
        """This page and all after it."""
        page: AsyncPage[T] | None = self
        while page is not None:
            yield page
            page = await page.next_page()

    async def __aiter__(self) -> AsyncIterator[T]:
        async for page in self.pages():
            for item in page.data:
                yield item

    def __bool__(self) -> bool:
        return bool(self.data)


class AsyncPaginator(Generic[T]):
    """A list that was asked for but not fetched: ``await`` it for the first page, ``async for`` it for everything."""

    def __init__(self, first: Callable[[], Awaitable[AsyncPage[T]]]) -> None:
        self._first = first

    def __await__(self) -> Generator[None, None, AsyncPage[T]]:
        return self._first().__await__()

    async def pages(self) -> AsyncIterator[AsyncPage[T]]:
        """All pages."""
        async for page in (await self).pages():
            yield page

    async def __aiter__(self) -> AsyncIterator[T]:
        async for page in self.pages():
            for item in page.data:
                yield item
