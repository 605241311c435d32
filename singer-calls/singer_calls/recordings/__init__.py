"""Recordings of calls: where they are kept, and what is in them. Needs the extra ``recordings``.

    store   ``Store``: one bucket or folder, in which each recording is put once, and from which it
            is signed for whoever may fetch it.
    audio   ``inspect``: container, channels and seconds, from the first bytes of a file.

The tap fetches and stores, since it has the source's credentials; the target turns the path of a
recording into something that its vendor can fetch. Nothing here is imported unless
``recordings_url`` is set.
"""
