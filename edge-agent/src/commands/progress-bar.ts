import type { TrainProgress } from '../training/trainer.ts'
import type { Output } from './output.ts'

/** Shares of the work at which something that is no terminal gets a line. */
const linesWanted = 10

const describe = ({ steps, totalSteps, loss, examplesPerSecond }: TrainProgress): string =>
  `step ${steps} of ${totalSteps}  loss ${loss.toPrecision(4)}  ${Math.round(examplesPerSecond)} examples/s`

/** Shows how far training is: one line that is redrawn on a terminal, ten lines elsewhere. */
export const progressBar = ({ err, columns }: Output): ((progress: TrainProgress) => void) => {
  let lines = 0
  return progress => {
    const share = progress.steps / progress.totalSteps
    const text = describe(progress)
    if (columns !== undefined) {
      const width = Math.max(0, Math.min(30, columns - text.length - 4))
      const filled = Math.round(share * width)
      err(`\r\u001b[K[${'#'.repeat(filled)}${'.'.repeat(width - filled)}] ${text}${share === 1 ? '\n' : ''}`)
      return
    }
    if (share * linesWanted < lines + 1 && share < 1) return
    lines = Math.floor(share * linesWanted)
    err(`${text}\n`)
  }
}
