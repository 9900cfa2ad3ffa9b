import { mkdir } from 'node:fs/promises'
import { join, resolve } from 'node:path'
import { Personalise } from '@tributary/contracts/personalisation'
import * as z from 'zod'
import { readBookPage } from '../../../deployments/deployment-book-file.ts'
import { readOwnWishes, writeOwnWishes } from '../../../deployments/personal/own-wishes.ts'
import { stateFolderOf } from '../../../settings/state-folder.ts'
import { readLiveStatus } from '../../../status/read-live-status.ts'
import { UsageError } from '../../usage-error.ts'
import { CommandError, type Surroundings } from '../agent-command.ts'
import { program } from '../program.ts'
import { readOptions } from '../read-options.ts'

const usage = `Has a deployed model fitted to this device's own data, and the better of the two served. Nobody else is told. It holds for
later versions of the model too.

  ${program} fine-tune --model name --dataset name --epochs n [options]
  ${program} fine-tune --model name --stop

  --held-out name    what both are compared on. default: what the data set's split holds out
  --learning-rate x  default 0.01
  --batch-size n     default 32
  --optimizer name   sgd, momentum, nesterov, adam, adamw. default sgd
  --loss name        default: that of the model
  --frozen pattern   tensors that keep their values; * stands for any characters; may be given several times
  --stop             undo it: the model is served as it was released
  --state-dir d      of the agent; default STATE_DIR
`

/** The command `fine-tune`. Throws UsageError, CommandError. */
export const fineTune = async (line: readonly string[], surroundings: Surroundings): Promise<number> => {
  const { folder, environment, output } = surroundings
  const given = readLine(line)
  if (given.help) {
    output.out(usage)
    return 0
  }
  const { model } = given
  if (model === undefined) throw new UsageError('fine-tune needs --model')
  const stateDir = resolve(folder, given['state-dir'] ?? stateFolderOf(environment))
  const deployments = join(stateDir, 'deployments')
  const wishes = new Map(await readOwnWishes(deployments))
  const when =
    (await readLiveStatus(stateDir).catch(() => undefined)) === undefined ? 'when it starts' : 'within seconds'
  if (given.stop === true) {
    if (!wishes.delete(model)) throw new CommandError(`Nobody asked for ${JSON.stringify(model)} to be fitted.`)
    await writeOwnWishes(deployments, wishes)
    output.out(`The agent serves ${model} as it was released, ${when}.\n`)
    return 0
  }
  const wish = wishOf(given)
  const served = (await readBookPage(deployments))?.serving.map(({ modelName }) => modelName) ?? []
  if (!served.includes(model)) {
    const list = served.length === 0 ? 'none is' : `there are ${served.slice(0, 8).join(', ')}`
    throw new CommandError(`No model ${JSON.stringify(model)} is deployed on this device: ${list}.`)
  }
  await mkdir(deployments, { recursive: true, mode: 0o700 })
  await writeOwnWishes(deployments, wishes.set(model, wish))
  output.out(`The agent fits ${model} to ${wish.dataset} ${when}; "${program} personal" shows how it comes out.\n`)
  return 0
}

const readLine = (line: readonly string[]) =>
  readOptions(line, {
    model: { type: 'string' },
    dataset: { type: 'string' },
    'held-out': { type: 'string' },
    epochs: { type: 'string' },
    'learning-rate': { type: 'string' },
    'batch-size': { type: 'string' },
    optimizer: { type: 'string' },
    loss: { type: 'string' },
    frozen: { type: 'string', multiple: true },
    stop: { type: 'boolean' },
    'state-dir': { type: 'string' },
  })

const wishOf = (given: ReturnType<typeof readLine>): Personalise => {
  const number = (text: string | undefined) => (text === undefined ? undefined : Number(text))
  const fields = {
    dataset: given.dataset,
    heldOut: given['held-out'],
    localEpochs: number(given.epochs),
    learningRate: number(given['learning-rate']) ?? 0.01,
    batchSize: number(given['batch-size']),
    optimizer: given.optimizer,
    loss: given.loss,
    frozen: given.frozen,
  }
  const parsed = Personalise.safeParse(
    Object.fromEntries(Object.entries(fields).filter(([, value]) => value !== undefined)),
  )
  if (parsed.success) return parsed.data
  throw new UsageError(`fine-tune cannot do this: ${z.prettifyError(parsed.error).replace(/\s+/g, ' ')}`)
}
