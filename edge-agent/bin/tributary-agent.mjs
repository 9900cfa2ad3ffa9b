#!/usr/bin/env node
// What `npm install` puts on the path; the rest is bundled into one file.
import '../dist/agent.mjs'
