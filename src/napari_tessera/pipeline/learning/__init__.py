"""From annotation to a model: what it means, what is learnt and judged by, previews, the job."""
