import { UsageError } from '../../usage-error.ts'
import { CommandError, type Surroundings } from '../agent-command.ts'

/** A sha256 as people copy it: with or without colons, in either case. Throws UsageError. */
export const readFingerprint = (text: string): string => {
  const hex = text.replaceAll(':', '').toLowerCase()
  if (/^[0-9a-f]{64}$/.test(hex)) return hex
  throw new UsageError('--authority-sha256 takes the 64 hexadecimal digits of a sha256')
}

/**
 * The owner's decision to trust an authority: by its fingerprint, which the operator gave, or by looking at it.
 * @throws CommandError where it is another one, or nobody decided
 */
export const trustAuthority = async (
  found: string,
  { expected, yes }: { readonly expected: string | undefined; readonly yes: boolean },
  { output, ask }: Surroundings,
): Promise<void> => {
  if (expected !== undefined) {
    if (expected === found) return
    throw new CommandError(
      `The authority that central sent has the sha256 ${found}, not the ${expected} that was given. Somebody may be in between: ask the operator which one is right. Nothing was trusted.`,
    )
  }
  output.err(`The certificate authority of this federation has the sha256\n  ${grouped(found)}\n`)
  if (yes) return
  const answer = await ask?.('Compare it with what the operator told you. Trust it? [y/N] ')
  if (answer === undefined) {
    throw new CommandError('Nobody is there to be asked: give --authority-sha256 (better) or --yes.')
  }
  if (!/^y(es)?$/i.test(answer.trim())) throw new CommandError('The authority was not trusted, so nothing was changed.')
}

const grouped = (hex: string): string => hex.toUpperCase().match(/../g)?.join(':') ?? hex
