// Plain JavaScript without dependencies: it runs on Node 20 and before anything is installed.
import { spawnSync } from 'node:child_process'
import { createHash } from 'node:crypto'
import { existsSync, mkdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'

export const root = join(dirname(fileURLToPath(import.meta.url)), '..', '..', '..')

/** Exit codes that people and scripts may rely on; the README lists them. */
export const exitCodes = { completed: 0, notCompleted: 1, usage: 2, environment: 3, interrupted: 130 }

const stampFile = join(root, 'node_modules', '.tributary-installed')
const lockFolder = join(root, '.tributary-installing')
const localNode = join(root, 'node_modules', '.bin', process.platform === 'win32' ? 'node.cmd' : 'node')

/** The lockfile decides: the same lockfile, the same node_modules. */
const wantedStamp = () =>
  createHash('sha256')
    .update(readFileSync(join(root, 'package-lock.json')))
    .digest('hex')

const isInstalled = stamp => existsSync(stampFile) && readFileSync(stampFile, 'utf8') === stamp

const runNpm = args => {
  const env = {
    ...process.env,
    // npm 10 does not know `allowScripts`: without this, the runtime's install script wants CUDA libraries.
    ONNXRUNTIME_NODE_INSTALL: 'skip',
  }
  const npm = process.env.npm_execpath
  const done = npm?.endsWith('.js')
    ? spawnSync(process.execPath, [npm, ...args], { cwd: root, env, stdio: ['ignore', 2, 2] })
    : spawnSync('npm', args, { cwd: root, env, stdio: ['ignore', 2, 2], shell: process.platform === 'win32' })
  return done.error ? 1 : (done.status ?? 1)
}

const isAlive = pid => {
  try {
    process.kill(pid, 0)
    return true
  } catch (error) {
    return error.code === 'EPERM'
  }
}

const lockOwner = () => {
  try {
    return Number(readFileSync(join(lockFolder, 'pid'), 'utf8'))
  } catch {
    return 0
  }
}

/** Two commands in one clone install once: the second waits for the first. */
const withLock = action => {
  const deadline = Date.now() + 15 * 60_000
  for (;;) {
    try {
      mkdirSync(lockFolder)
      break
    } catch (error) {
      if (error.code !== 'EEXIST') throw error
      const owner = lockOwner()
      const isOld = Date.now() - (statSync(lockFolder, { throwIfNoEntry: false })?.mtimeMs ?? Date.now()) > 5000
      if (owner > 0 ? !isAlive(owner) : isOld) rmSync(lockFolder, { recursive: true, force: true })
      else if (Date.now() > deadline) throw new Error(`another install (process ${owner}) holds ${lockFolder}`)
      else Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 250)
    }
  }
  try {
    writeFileSync(join(lockFolder, 'pid'), String(process.pid))
    return action()
  } finally {
    rmSync(lockFolder, { recursive: true, force: true })
  }
}

/**
 * Installs the packages of the lockfile where they are not there yet. Everything it prints goes to standard error.
 * @returns {number} 0, or the exit code to end with.
 */
export const ensureInstalled = () => {
  const stamp = wantedStamp()
  if (isInstalled(stamp)) return exitCodes.completed
  return withLock(() => {
    if (isInstalled(stamp)) return exitCodes.completed
    process.stderr.write('Installing packages: about 380 MB to download, 1 GB on disk; takes a minute or two.\n')
    const started = Date.now()
    if (runNpm(['ci', '--loglevel=error']) !== 0) {
      process.stderr.write('npm ci failed (see above). Mend that, then run the same command again.\n')
      return exitCodes.environment
    }
    writeFileSync(stampFile, stamp)
    process.stderr.write(`Packages installed in ${Math.round((Date.now() - started) / 1000)} s.\n`)
    return exitCodes.completed
  })
}

/** The Node to run Tributary with: the installed one, else the running one where it is new enough. */
export const findNode = () => {
  if (existsSync(localNode) && spawnSync(localNode, ['--version']).status === 0) return localNode
  if (Number(process.versions.node.split('.')[0]) >= 24) return process.execPath
  process.stderr.write(
    `Tributary needs Node 24. The \`node\` package did not install its binary (were install scripts switched off?) and this is Node ${process.versions.node}. Install Node 24, then run the same command again.\n`,
  )
  return null
}
