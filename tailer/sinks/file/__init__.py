"""Lines into local files, exactly once.

How a kill at any instant is survived, in the words of the modules:

- A write first notes, durably, how each file stands that the last *mark* does not tell
  of (`journal`), then changes files, then brings them to disk, then hands out a new mark.
- The mark names the files written last, with their lengths (`mark`). The spool stores it
  in the transaction that counts the batch as delivered.
- `restore` turns back whatever happened since a mark: what the mark and the note that
  follows it say about a file is what that file goes back to.
- What cannot be turned back, removing and compressing closed files, starts only when the
  mark that follows their closing was stored (`housekeeping`).
"""
