"""Studio: the journal's runs in a browser, and as an API for a front end of your own."""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from arkor.studio.app import create_app

__all__ = ["create_app"]


if not TYPE_CHECKING:

    def __getattr__(name: str) -> Any:
        if name not in __all__:
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        from arkor.core.extras import import_extra

        # Who has the package without the extra is told which one it takes.
        import_extra("starlette", extra="studio")
        from arkor.studio.app import create_app

        return create_app
