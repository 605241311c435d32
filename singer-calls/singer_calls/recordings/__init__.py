"""Recordings of calls: where they are kept, and what is in them.

The tap fetches and stores, since it has the source's credentials; the target turns the path of a
recording into something that its vendor can fetch. A plugin imports what needs an extra only when
``recordings_url`` is set:

    record    what a record says of its call's recording
    checks    of the settings that name the store, and of paths in it
    archive   from a source's API into the store       (extra ``recordings``)
    audio     what a recording is, from its bytes      (extra ``recordings``)
    store     ``Store``: one bucket or folder          (extra ``recordings``)
    decode    what needs the sound itself              (extra ``recordings-decode``)
"""

__all__ = ["archive", "audio", "checks", "decode", "record", "store"]
