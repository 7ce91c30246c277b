"""`inspector doctor CONFIG`: whether this machine can run this line; each finding with its remedy.

`inspector check` asks whether the configuration is right, and opens what it names. The doctor calls the same code, and
goes on after the first fault: it looks at the machine as well (cores, memory, clock, disk, cameras and their pace), and
runs the line for some seconds to say what it will carry.

    finding.py     what is found
    case.py        what is looked at: the configuration, the machine, and what earlier checks learnt
    checks.py      the registry: every check, in its order
    trial.py       runs the line's real code for some seconds, in a process of its own (rehearsal.py)
    examine.py     all of it, one after the other; report.py shows it
"""
