import { agentEnvironment, callFolder } from '../config.ts'
import { terminalQuestion } from './ask.ts'
import { runAgentCommand } from './run-agent-command.ts'

const controller = new AbortController()
for (const name of ['SIGINT', 'SIGTERM'] as const) process.once(name, () => controller.abort(new Error(name)))
const { signal } = controller

process.exitCode = await runAgentCommand(process.argv.slice(2), {
  folder: callFolder(),
  environment: agentEnvironment(),
  output: {
    out: text => void process.stdout.write(text),
    err: text => void process.stderr.write(text),
    columns: process.stderr.isTTY ? process.stderr.columns : undefined,
  },
  signal,
  ...(process.stdin.isTTY && process.stderr.isTTY ? { ask: terminalQuestion(signal) } : {}),
})
