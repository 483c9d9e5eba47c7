"""File sink: log lines in local files, exactly once.

The sequence that survives a kill at any instant:

1. A write stores, in the undo journal, the state of each file that the stored *mark* does not
   have (`marks`). Then it changes the files, syncs them, and returns a new mark (`writer`).
2. The mark has the files written last, with their lengths (`marks`). The spool stores it in the
   transaction that counts the batch as delivered.
3. After a kill or a failed write, each file is rolled back to its state in the stored mark or
   in the journal that follows this mark (`restore`).
4. Deleting and compressing closed files cannot be rolled back. It starts only after the mark
   that follows their closing is stored (`rotation`).
"""
