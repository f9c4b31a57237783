"""Files that earlier versions of edgesnn wrote still load and go on: see README.md."""
