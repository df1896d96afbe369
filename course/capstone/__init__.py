"""The capstone: a task of the reader's own, predicted before the first run, trained, judged and graded."""
