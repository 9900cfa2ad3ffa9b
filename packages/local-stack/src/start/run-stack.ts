import { join } from 'node:path'
import { ensureDeviceData } from '../demo/device-data.ts'
import { downloadResults } from '../demo/results.ts'
import { createDemoTask, followTask } from '../demo/run-task.ts'
import { ensureStartModel } from '../demo/start-model.ts'
import { ensureBuilds } from '../platform/builds.ts'
import { planFleet } from '../platform/fleet.ts'
import { startPlatform } from '../platform/start-platform.ts'
import { aborted } from '../processes/end-with-parent.ts'
import { startWatchdog } from '../processes/watchdog.ts'
import type { ServiceReport } from '../services/service-report.ts'
import { startBackingServices } from '../services/start-services.ts'
import { timed } from '../services/timed.ts'
import { readStackEnvironment } from '../settings/config.ts'
import { prepareFolders } from '../settings/folders.ts'
import { forgetState } from '../settings/forget-state.ts'
import { stackPorts } from '../settings/ports.ts'
import { lockState } from '../settings/state-lock.ts'
import { exitCodes } from './exit-codes.ts'
import type { StartOptions } from './options.ts'
import { summarise } from './summary.ts'
import type { Terminal } from './terminal.ts'

const root = join(import.meta.dirname, '..', '..', '..', '..')
const megabyte = 1024 * 1024

const tell =
  (terminal: Terminal) =>
  (report: ServiceReport): void => {
    switch (report.kind) {
      case 'started':
        terminal.started(report.service, report.seconds, report.detail)
        break
      case 'download':
        terminal.line(`  ${report.service}: downloading ${report.what}, ${(report.bytes / megabyte).toFixed(0)} MB`)
        break
      case 'note':
      case 'ended':
        terminal.trouble(`  ${report.service}: ${report.message}`)
        break
    }
  }

/**
 * Starts everything, runs the demo federation, and serves until `signal` aborts (or ends at once with `--exit`). Whatever it
 * started has ended when it returns.
 * @returns the exit code
 */
export const runStack = async (options: StartOptions, terminal: Terminal, signal: AbortSignal): Promise<number> => {
  const startedAt = performance.now()
  const sinceStart = (): number => (performance.now() - startedAt) / 1000
  const environment = readStackEnvironment()
  await using stack = new AsyncDisposableStack()
  const folders = await prepareFolders(root, options.portBase, environment)
  const watchdog = stack.use(await startWatchdog())
  stack.use(await lockState(folders.state, watchdog.pid))
  if (options.fresh) await forgetState(folders)
  const agents = planFleet(options.devices, options.regions).length
  const ports = stackPorts({ portBase: options.portBase, regions: options.regions, agents })
  const report = tell(terminal)

  terminal.line('Starting services')
  const [services, , data] = await settleAll([
    startBackingServices({ ports, folders, environment, watchdog, report, signal }).then(started => stack.use(started)),
    timed(
      report,
      'bundles',
      built => (built ? 'built' : 'as before'),
      () => ensureBuilds(root, signal),
    ),
    timed(
      report,
      'device data',
      found => `MNIST, ${found.trainExamples} examples over ${options.devices} devices`,
      () => ensureDeviceData(join(folders.state, 'data'), options),
    ),
  ])
  const platform = stack.use(
    await startPlatform({ root, options, folders, ports, services, data, watchdog, report, signal }),
  )
  terminal.line(`Up in ${sinceStart().toFixed(1)} s\n`)
  terminal.line(`  API      ${platform.apiUrl}`)
  for (const [role, token] of Object.entries(platform.tokens)) terminal.line(`  ${role.padEnd(8)} ${token}`)
  terminal.line(`  logs     ${folders.logs}`)

  const start = await ensureStartModel(platform.api, options.model, options.seed)
  const taskStartedAt = performance.now()
  const task = await createDemoTask(platform.api, options, start)
  terminal.line(
    `\nTraining ${options.model} on ${options.devices} devices in ${options.regions} regions (task ${task.id})`,
  )
  terminal.roundHeader()
  const detail = await followTask(platform.api, task.id, round => terminal.round(round), signal)
  const seconds = (performance.now() - taskStartedAt) / 1000
  const isCompleted = detail.state === 'completed'
  const files = isCompleted
    ? await downloadResults(platform.api, join(folders.state, 'results', task.id), detail.model, detail.currentVersion)
    : undefined
  const summary = summarise(detail, files, { options, apiUrl: platform.apiUrl, examples: data.trainExamples, seconds })
  terminal.line(
    `Task ${detail.state} in ${seconds.toFixed(1)} s${detail.reason === null ? '' : `: ${detail.reason.detail}`}`,
  )
  if (files !== undefined)
    terminal.line(`  model    ${files.modelPath}\n  ONNX     ${files.onnxPath}\n  sha256   ${summary.modelSha256}`)

  if (!options.exit) {
    terminal.line('\nServing until Ctrl-C.')
    if (options.json) terminal.line(JSON.stringify(summary))
    await aborted(signal)
    throw signal.reason
  }
  await stack.disposeAsync()
  if (options.json) terminal.line(JSON.stringify(summary))
  return isCompleted ? exitCodes.completed : exitCodes.notCompleted
}

/** As Promise.all, but waits for the others before it throws: nothing may start after the stack was disposed. */
const settleAll = async <Parts extends readonly Promise<unknown>[]>(
  parts: readonly [...Parts],
): Promise<{ -readonly [Index in keyof Parts]: Awaited<Parts[Index]> }> => {
  await Promise.allSettled(parts)
  return Promise.all(parts)
}
