"""What a run tells people and machines afterwards, and while it goes on.

`metrics` counts, `summary` is what there is to say (the contract of summary.json), `timeline` is the
same over time; `terminal` and `progress` say it to people; `forms` finds the renderer by name.
"""
