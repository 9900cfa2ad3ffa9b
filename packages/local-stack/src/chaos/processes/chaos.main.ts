import { parseArgs } from 'node:util'
import { untilInterrupted } from '../../start/interruption.ts'
import { runChaos } from './run-chaos.ts'
import { tellChaos } from './tell-chaos.ts'

const text = { type: 'string' } as const
const { values } = parseArgs({ options: { hours: text, seed: text, 'port-base': text } })
const [hours, seed, portBase] = [
  Number(values.hours ?? 0.05),
  Number(values.seed ?? 1),
  Number(values['port-base'] ?? 25_000),
]
if (!(hours >= 0 && hours <= 1000) || !Number.isSafeInteger(seed) || !Number.isSafeInteger(portBase)) {
  process.stderr.write('usage: npm run chaos -- --hours H [--seed S] [--port-base N]\n')
  process.exitCode = 2
} else {
  using interruption = untilInterrupted()
  const tell = (line: string): void => void process.stdout.write(`${line}\n`)
  const options = { seconds: hours * 3600, seed, portBase, rounds: 5, least: {} }
  const { text: told, exitCode } = tellChaos(await runChaos(options, tell, interruption.signal), seed)
  tell(told)
  process.exitCode = exitCode
}
