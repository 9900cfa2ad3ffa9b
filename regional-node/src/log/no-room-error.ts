/** The disk, or the part of it that the node may use, has no room. Nothing was changed; later there may be room. */
export class NoRoomError extends Error {
  override readonly name = 'NoRoomError'
}

/** Whether a write failed because the disk, a quota or a file is full. A failed fsync is another thing, whatever its code. */
export const isNoRoom = (error: unknown): boolean =>
  error instanceof NoRoomError || ['ENOSPC', 'EDQUOT', 'EFBIG'].includes((error as NodeJS.ErrnoException).code ?? '')
