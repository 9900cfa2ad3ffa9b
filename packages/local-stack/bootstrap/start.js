// `npm start`: installs what is missing, then runs the local stack on the Node that belongs to it.
import { join } from 'node:path'
import { handOver } from './hand-over.js'
import { ensureInstalled, exitCodes, findNode, root } from './install.js'

const failed = ensureInstalled()
const node = failed === 0 ? findNode() : null
if (node)
  handOver(node, [join(root, 'packages', 'local-stack', 'src', 'main.ts'), ...process.argv.slice(2)], { cwd: root })
else process.exitCode = failed || exitCodes.environment
