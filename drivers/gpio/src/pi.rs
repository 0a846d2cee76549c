//! A Raspberry Pi's registers by `rppal`, which its author has archived. See the README for when this can work at all.

use rppal::gpio::{Gpio as Chip, InputPin, OutputPin};

use crate::{Gpio, GpioError, Want};

enum Pin {
    Output(OutputPin, bool),
    Input(InputPin, bool),
}

/// Requested pins, by BCM number (`17` or `GPIO17`).
pub struct Pins(Vec<Pin>);

impl Pins {
    /// Requests pins.
    pub fn request(wants: &[Want]) -> Result<Self, GpioError> {
        let system = |line: &str, e: &dyn std::fmt::Display| GpioError::System {
            line: line.to_owned(),
            detail: e.to_string(),
        };
        let chip = Chip::new().map_err(|e| system("chip", &e))?;
        let mut pins = Vec::new();
        for want in wants {
            let none = || GpioError::NoLine { chip: "Raspberry Pi".into(), line: want.line.clone() };
            let number = want.line.trim_start_matches("GPIO").parse::<u8>().map_err(|_| none())?;
            let pin = chip.get(number).map_err(|e| match e {
                rppal::gpio::Error::PinUsed(_) => {
                    GpioError::Busy { line: want.line.clone(), by: "rppal".into() }
                }
                e => system(&want.line, &e),
            })?;
            pins.push(match (want.output, want.active_low) {
                (true, true) => Pin::Output(pin.into_output_high(), true),
                (true, false) => Pin::Output(pin.into_output_low(), false),
                (false, low) => Pin::Input(pin.into_input(), low),
            });
        }
        Ok(Self(pins))
    }
}

impl Gpio for Pins {
    fn set(&mut self, line: usize, active: bool) -> Result<(), GpioError> {
        match self.0.get_mut(line) {
            Some(Pin::Output(pin, low)) => {
                if active == *low {
                    pin.set_low()
                } else {
                    pin.set_high()
                }
                Ok(())
            }
            _ => Err(GpioError::System { line: line.to_string(), detail: "it is no output".into() }),
        }
    }

    fn get(&mut self, line: usize) -> Result<bool, GpioError> {
        match self.0.get(line) {
            Some(Pin::Input(pin, low)) => Ok(pin.is_high() != *low),
            _ => Err(GpioError::System { line: line.to_string(), detail: "it is no input".into() }),
        }
    }
}

impl Drop for Pins {
    fn drop(&mut self) {
        for line in 0..self.0.len() {
            let _input = self.set(line, false);
        }
    }
}
