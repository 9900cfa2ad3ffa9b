import type { SeededRandom } from '../seeded/random.ts'

/**
 * Label skew (Hsu 2019, https://arxiv.org/abs/1909.06335, as commonly used): each class is divided over the devices in
 * proportions drawn from Dirichlet(α). A device that draws nothing takes an example from the one that has most.
 */
export function dirichletSplit(
  labels: ArrayLike<number>,
  devices: number,
  alpha: number,
  random: SeededRandom,
): Uint32Array[] {
  const parts: number[][] = Array.from({ length: devices }, () => [])
  for (const examples of byClass(labels)) {
    random.shuffle(examples)
    const ends = cumulative(dirichlet(devices, alpha, random))
    for (const [device, part] of parts.entries()) {
      const begin = Math.round((ends[device - 1] ?? 0) * examples.length)
      const end = device === devices - 1 ? examples.length : Math.round((ends[device] as number) * examples.length)
      for (const example of examples.slice(begin, end)) part.push(example)
    }
  }
  fillEmpty(parts)
  return parts.map(part => Uint32Array.from(part))
}

function byClass(labels: ArrayLike<number>): number[][] {
  const classes = Map.groupBy(Array.from(labels).keys(), example => labels[example] as number)
  return [...classes.entries()].sort(([a], [b]) => a - b).map(([, examples]) => examples)
}

function cumulative(proportions: readonly number[]): number[] {
  let sum = 0
  return proportions.map(proportion => {
    sum += proportion
    return sum
  })
}

/** Gamma(α) variables divided by their sum. They are held as logarithms: for small α the variables themselves vanish. */
function dirichlet(length: number, alpha: number, random: SeededRandom): number[] {
  const logs = Array.from({ length }, () => logGamma(alpha, random))
  const largest = Math.max(...logs)
  const scaled = logs.map(log => Math.exp(log - largest))
  const sum = scaled.reduce((all, value) => all + value, 0)
  return scaled.map(value => value / sum)
}

/** Logarithm of a Gamma(α) variable (Marsaglia and Tsang 2000; for α < 1 from α + 1 by their section 6). */
function logGamma(alpha: number, random: SeededRandom): number {
  if (alpha < 1) return logGamma(alpha + 1, random) + Math.log(1 - random.unit()) / alpha
  const d = alpha - 1 / 3
  const c = 1 / Math.sqrt(9 * d)
  for (;;) {
    const x = random.normal()
    const v = (1 + c * x) ** 3
    if (v > 0 && Math.log(1 - random.unit()) < x * x * 0.5 + d - d * v + d * Math.log(v)) return Math.log(d * v)
  }
}

function fillEmpty(parts: number[][]): void {
  for (const part of parts) {
    if (part.length > 0) continue
    const fullest = parts.reduce((most, other) => (other.length > most.length ? other : most))
    part.push(fullest.pop() as number)
  }
}
