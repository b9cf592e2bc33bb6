"""An Azkaban web server, as far as load tests need one.

One file a servlet, each to be held against the section of the facts that it names.  What is known
and decided (projects, flows, sessions) is apart from what is said over HTTP:

app        routes, and who is asked what
site       what this server is like
profile    where versions differ                             pure
login      sessions and logins in front of every servlet
manager    /manager: create, delete, purge and the questions about a project
upload     /manager: the upload of a project zip
reports    what an upload says of a bad project              pure
mammut     /mammut/jobs: the original story's own front end, no part of Azkaban
index      /index: lists of projects; the redirect of every unknown path
executor   /executor: execute flows, ask about executions
schedule   /schedule
jmx        /jmx: figures
history    /history: executions, for people
status     /status
flow_queries    /manager: a flow's executions, jobs and lock
pages      JSON and HTML as Azkaban writes them
sessions   who is logged in                                  pure
users      who there is, and what they may do                pure
projects   projects and their flows; the events of a journal pure
archive    a zip, unpacked                                   pure
properties Java properties                                   pure
flows      the files of a project, read as flows: Flow 1.0   pure
yaml_flows the same: Flow 2.0                                pure
engine     executions and schedules on one clock
executions which wait, which run, and how each stands        pure
timeline   when each job of a run starts and ends, and how   pure
schedules  which flow is due when                            pure
quartz     cron expressions                                  pure
flow_options    what executeFlow and a schedule can be told  pure
execution_json  executions as clients see them               pure
java       numbers as Java reads them                        pure
"""
