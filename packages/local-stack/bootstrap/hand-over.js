import { spawn } from 'node:child_process'
import { exitCodes } from './install.js'

const parentCheckMillis = 500

/**
 * Runs a program in this process's place: same terminal, signals passed on, its exit code taken over. Ends the program when
 * whoever started us is gone, since a `kill -9` of npm tells nobody.
 */
export const handOver = (node, args, options) => {
  const child = spawn(node, args, { stdio: 'inherit', ...options })
  const parent = process.ppid
  const parentWatch = setInterval(() => {
    if (process.ppid !== parent) child.kill('SIGTERM')
  }, parentCheckMillis)
  // A terminal sends SIGINT to the whole group, so the program has it already: passing it on again is harmless there.
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP']) process.on(signal, () => child.kill(signal))
  child.on('error', error => {
    clearInterval(parentWatch)
    process.stderr.write(`Cannot run ${node}: ${error.message}\n`)
    process.exitCode = exitCodes.environment
  })
  child.on('exit', (code, signal) => {
    clearInterval(parentWatch)
    for (const name of ['SIGINT', 'SIGTERM', 'SIGHUP']) process.removeAllListeners(name)
    process.exitCode = code ?? (signal === 'SIGINT' ? exitCodes.interrupted : exitCodes.notCompleted)
  })
}
