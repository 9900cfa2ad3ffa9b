import { parseArgs } from 'node:util'
import { explore, tellExplored } from './explore.ts'

const { values } = parseArgs({ options: { seeds: { type: 'string', default: '500' }, seed: { type: 'string' } } })
const [first, seeds] = values.seed === undefined ? [1, Number(values.seeds)] : [Number(values.seed), 1]
if (!Number.isSafeInteger(first) || !Number.isSafeInteger(seeds) || seeds < 1) {
  process.stderr.write('usage: npm run explore -- [--seeds N] [--seed S], whole numbers\n')
  process.exitCode = 2
} else {
  const explored = explore(first, seeds)
  process.stdout.write(tellExplored(explored))
  if (explored.failures.length > 0) process.exitCode = 1
}
