#!/bin/sh
# Passes when a greeting comes out as it should.
[ "$(sh greet.sh World)" = "Hello, World!" ]
