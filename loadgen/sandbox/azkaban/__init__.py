"""An Azkaban web server, as far as load tests need one.

One file a servlet, each to be held against the section of the facts that it names.  What is known
and decided (projects, flows, sessions) is apart from what is said over HTTP:

app        routes, and who is asked what
login      sessions and logins in front of every servlet
manager    /manager: create, delete, purge and the questions about a project
upload     /manager: the upload of a project zip
index      /index: lists of projects; the redirect of every unknown path
status     /status
pages      JSON and HTML as Azkaban writes them
sessions   who is logged in                                  pure
projects   projects and their flows                          pure
archive    a zip, unpacked                                   pure
properties Java properties                                   pure
flows      the files of a project, read as flows             pure
"""
